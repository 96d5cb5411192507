-- How far the run is with the files of its stage, for whoever looks from another terminal. Unlogged: nobody needs it
-- after a crash, and so it costs no wait for the disk.
create unlogged table udecdash.progress (
    table_name text primary key,
    run_id bigint not null,
    files integer not null,
    done bigint not null,
    total bigint not null,
    rows bigint not null,
    updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
