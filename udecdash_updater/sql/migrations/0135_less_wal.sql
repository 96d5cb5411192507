-- Only the web log's files are looked up by name; those of other tables stand in the index of their run alone.
drop index udecdash.files_by_name;
create index files_of_requests on udecdash.files (run_id, file_name, size, checksum) where table_name = 'requests';

-- What a publish gathers for `touched`, by the one run that there is; a temporary table's catalog rows cost WAL.
create unlogged table udecdash.touched_rows (table_name text not null, id bigint, canvas_id bigint);
