"""The analysis core: a model, labelled data and a loss in; result records with error bounds out."""
