"""The control API: what operators ask of a running router, as HTTP and JSON on a Unix socket."""
