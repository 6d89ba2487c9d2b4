"""The site; `conf.py` builds it, `generate` makes what it shows of the code."""
