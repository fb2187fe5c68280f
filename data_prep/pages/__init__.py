"""What pages for people are made of: pictures with objects drawn in, plots, and one HTML template."""
