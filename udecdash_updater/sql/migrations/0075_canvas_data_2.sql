-- How far each table of Canvas Data 2 is loaded: the next query begins at `until`. Written by the transaction that
-- publishes the rows.
create table udecdash.dap_tables (
    namespace text not null,
    table_name text not null,
    until timestamptz not null,
    schema_version bigint not null,
    run_id bigint not null,
    rows bigint,
    primary key (namespace, table_name)
);

-- Users whose id no formula gives: Canvas Data 1 obfuscated them. They keep it when a site moves to Canvas Data 2.
create table udecdash.dap_users (
    canvas_id bigint primary key,
    id bigint not null
);

-- The id that Canvas Data 1 gave a row of ours; ids from 10^13 on belong to another shard and are whole already.
create function udecdash.dap_id(local bigint, shard bigint) returns bigint language sql immutable parallel safe as
$$ select case when abs(local) >= 10000000000000 then local else local + sign(local)::bigint * shard * 10000000000000 end $$;
