// Keeps a page up to date: what changed is fetched anew and put in its place. The page is whole without this.
