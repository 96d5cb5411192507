-- The print of each table of Canvas Data 2 as its last load left it: rows that somebody changes by hand are found.
alter table udecdash.dap_tables add column places numeric;
