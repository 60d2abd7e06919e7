"""`bundle init`: a small project from a template, or from one that was written for BentoML."""
