"""The change log handed out: one tailer a process, however many read it."""
