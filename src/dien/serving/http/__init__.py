"""The HTTP server: a run folder as a service. It needs the extra ``serve``."""
