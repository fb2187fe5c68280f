"""`maskx data check`: what `prepare` would make of sources, and what looks odd about them, without a dataset."""
