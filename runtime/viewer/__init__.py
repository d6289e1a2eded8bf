"""The operator's page: a process of its own beside the watch, which reads ledger and results and scores nothing.

    watch ──stdin: set-up, then a line a second──► page's process ──HTTP, server-sent events──► browsers
      │                                              │
      └──writes──► ledger and results ◄──reads───────┘   (Retry alone writes: to the ledger, as `inflamap retry` does)

A process of its own, so that nothing that a browser does, or does not do, takes time from scoring: the watch only notes
that it is alive. `process.py` is the watch's side. On the page's side `keeping_up.py` looks at the ledger by
`reading.py` (`session.py`: what it holds, `health.py`: how the watch stands) and wakes the pages, `pictures.py` makes
what is looked at, `guard.py` refuses who may not ask, and `app.py` answers. The page itself is in `static/`.
"""
