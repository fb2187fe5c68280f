"""The parts of HTML pages: images with objects drawn in, plots, and a common template."""
