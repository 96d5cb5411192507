-- dap_known: whether tables of Canvas Data 2 were ever loaded here
select to_regclass('udecdash.dap_tables') is not null

-- dap_loaded: up to when each table of Canvas Data 2 is loaded
select namespace || '.' || table_name, until from udecdash.dap_tables
