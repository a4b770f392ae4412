"""The protocol: item keys are brought to the state that the source asks for, whatever else writes meanwhile.

`Reconciler` takes marks, reads the target, then one snapshot of the source, and writes on condition that the target is
as it was read. `docs/explanation/protocol.md` says why each step is as it is.
"""

from migrator.reconcile.item_key import ItemKey
from migrator.reconcile.lookup import Lookup
from migrator.reconcile.reconciler import Reconciler, Settled
from migrator.reconcile.times import Times

__all__ = ["ItemKey", "Lookup", "Reconciler", "Settled", "Times"]
