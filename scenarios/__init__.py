"""Stories, one a file. `README.md` lists them."""
