-- The columns that a table of Canvas Data 2 had by its schema when it was loaded last: one that is gone is told.
alter table udecdash.dap_tables add column columns text[];
