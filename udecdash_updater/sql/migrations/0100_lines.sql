-- What a table's files and lines were when it was last loaded, so that a night looks only at lines that are other ones.
-- A cache: it counts only while the table holds the very rows of that load (`print`: of their places and transactions),
-- and what is lost of it costs time alone. number: its lines stand in udecdash.lines_<number>, an unlogged table of key
-- and digest. published: that load is. contents: a digest of each file. counts: its lines, and of them
-- those that were loaded, filtered, repeated.
create table udecdash.line_sets (
    number integer generated always as identity primary key,
    table_name text not null unique,
    published boolean not null default false,
    shape text,
    width integer,
    contents text[],
    counts bigint[],
    rows bigint,
    newest timestamp(3),
    print numeric
);
