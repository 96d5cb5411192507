-- last_loads: each table's last publish, and whether somebody accepted since then that the table is gone
select distinct on (l.table_name) l.table_name, l.run_id, l.rows, l.newest, l.files,
    exists (select from udecdash.accepted a where a.table_name = l.table_name and a.run_id > l.run_id)
from udecdash.table_loads l order by l.table_name, l.run_id desc

-- last_request_files: the last run that loaded request files, and whether somebody accepted since that there are none
with last as (select max(run_id) as run from udecdash.files where table_name = 'requests')
select run, exists (
    select from udecdash.accepted where table_name = 'requests' and run_id > coalesce(run, 0)) from last

-- file_sets: each set of files that a table was ever published from, and the first run that did
select table_name, files, min(run_id) from udecdash.table_loads where files is not null group by table_name, files

-- staged_newest: the newest time at which a staged row was created or changed
select max(greatest({times})) from {staging}

-- record_accepted: what looked implausible and was accepted
insert into udecdash.accepted (run_id, table_name, reason) values %s on conflict do nothing

-- accepted_doubts: what this run accepted
select table_name, reason from udecdash.accepted where run_id = %(run)s order by 1, 2

-- last_columns: what schema.json declared of each table when it was loaded last
select distinct on (table_name) table_name, columns from udecdash.table_loads
where columns is not null order by table_name, run_id desc

-- last_requests_columns: the same of requests, none before its first load
select requests_columns from udecdash.runs where requests_columns is not null order by id desc limit 1

-- note_requests_columns: they are other ones in this run
update udecdash.runs set requests_columns = %(columns)s where id = %(run)s
