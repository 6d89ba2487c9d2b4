"""What the site shows and the code knows: each module writes its files before the site is built."""
