"""The site, and every other page that a reader opens."""
