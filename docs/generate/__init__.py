"""What the site shows and the code knows: each module writes its files into a folder before the site is built."""
