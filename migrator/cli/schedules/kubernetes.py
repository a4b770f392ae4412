"""A CronJob for Kubernetes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from migrator.cli.schedules.job import SECRETS, File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.schedules.job import Job


def kubernetes(job: Job) -> Sequence[File]:
    """The manifest: runs never overlap, a failed one is not repeated before its time, secrets come from a Secret."""
    keys = " and ".join(SECRETS)
    text = f"""\
# kubectl apply -f {job.name}.yaml
# The Secret {job.name} holds {keys}:
#   kubectl -n {job.namespace} create secret generic {job.name} --from-env-file=FILE
# The service account {job.account} has the right to {"repair" if job.repairs else "read"} the tables:
# {", ".join(job.actions)}.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {json.dumps(job.name)}
  namespace: {json.dumps(job.namespace)}
  labels:
    app.kubernetes.io/name: {json.dumps(job.name)}
spec:
  schedule: {json.dumps(job.times.cron)}
  timeZone: {json.dumps(job.times.zone)}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 60
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 10
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        metadata:
          labels:
            app.kubernetes.io/name: {json.dumps(job.name)}
        spec:
{_pod(job)}"""
    return [File(f"{job.name}.yaml", text)]


def _pod(job: Job) -> str:
    """What runs, without rights on its node. JSON's strings and lists are YAML's as well."""
    arguments = json.dumps(list(job.arguments))
    return f"""\
          serviceAccountName: {json.dumps(job.account)}
          restartPolicy: Never
          securityContext:
            runAsNonRoot: true
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: verify
              image: {json.dumps(job.image)}
              command: ["migrate"]
              args: {arguments}
              envFrom:
                - secretRef:
                    name: {json.dumps(job.name)}
              resources:
                requests:
                  cpu: 500m
                  memory: 512Mi
                limits:
                  memory: 2Gi
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: ["ALL"]
              volumeMounts:
                - name: temporary
                  mountPath: /tmp
          volumes:
            - name: temporary
              emptyDir: {{}}
"""
