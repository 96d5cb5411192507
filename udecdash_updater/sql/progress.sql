-- record_progress: how far tables are
insert into udecdash.progress (table_name, run_id, files, done, total, rows) values %s
on conflict (table_name) do update set run_id = excluded.run_id, files = excluded.files, done = excluded.done,
    total = excluded.total, rows = excluded.rows, updated_at = clock_timestamp()

-- clear_progress: the stage's reading has ended
delete from udecdash.progress
