"""The nightly job: every slow suite, one after the other."""
