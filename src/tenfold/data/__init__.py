"""Files become arrays: IDX, image folders, CSV and npz tables, named data sets, splits, batches."""
