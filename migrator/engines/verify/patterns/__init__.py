"""The third witness: the application's own questions, asked of both stores."""
