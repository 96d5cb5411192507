-- A table's lines are kept in blocks, for a walk beside tonight's lines that reads each of them once.
-- number: the line set. ordinal: blocks of a table stand in its order. digests: of 8 bytes each, of the lines but those
-- of repeated keys. keys: theirs, each ended by a newline. A block may be empty. Unlogged: it may be lost.
-- repeated: keys that stood in more than one line. lines: how many the blocks hold. Null where no lines are kept.
do $$
declare left_over text;
begin
    for left_over in
        select c.relname from pg_class c
        where c.relnamespace = 'udecdash'::regnamespace and c.relkind = 'r' and c.relname ~ '^lines_[0-9]+$'
    loop
        execute format('drop table udecdash.%I', left_over);
    end loop;
end $$;

alter table udecdash.line_sets add column repeated text[], add column lines bigint;
update udecdash.line_sets set published = false;

create unlogged table udecdash.line_blocks (
    number integer not null,
    ordinal bigint not null,
    digests bytea not null,
    keys bytea not null,
    primary key (number, ordinal)
) with (toast_tuple_target = 8160);
alter table udecdash.line_blocks alter column digests set storage external, alter column keys set storage external;
