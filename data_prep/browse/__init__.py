"""`maskx data browse`: one HTML page that shows what a dataset holds."""
