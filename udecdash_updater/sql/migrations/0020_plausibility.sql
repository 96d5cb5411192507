-- What a dump is judged by the next time: the newest created_at or updated_at of a table's rows, a digest of the files
-- they came from (names, sizes, checksums), and the columns that schema.json declared.
alter table udecdash.table_loads add newest timestamp(3), add files text, add columns text[];

-- The CRC-32 and length in a gzip archive's trailer: two files of one name and size are the same only if these are.
alter table udecdash.files add checksum bigint;

-- Tables that looked implausible and were loaded, or left out, because somebody said so.
create table udecdash.accepted (
    run_id bigint not null references udecdash.runs on delete cascade,
    table_name text not null,
    reason text not null,
    primary key (run_id, table_name, reason)
);
