"""Having `inflamap watch` run in the background: a systemd unit on Linux, a scheduled task on Windows."""
