"""Pages that stand alone: one HTML file of a run, of runs side by side, or of a trial, and its figures as JSON."""
