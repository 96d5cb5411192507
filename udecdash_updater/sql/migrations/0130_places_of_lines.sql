-- Tables without a key go by lines too: the row of each of their lines is told by its place, and by its content, which
-- keeps a place from being believed after somebody wrote the table anew in another order. line: the line's digest.
create unlogged table udecdash.line_places (
    number integer not null,
    line bigint not null,
    place tid not null,
    body bigint[] not null
);
create index line_places_by_line on udecdash.line_places (number, line);

-- What may be lost at no other price than time need not be in the WAL. Lines are compared anew without what was kept of
-- them; and a load that no longer stands in tracked_loads may have touched everything, whatever is left of touched.
alter table udecdash.line_sets set unlogged;
alter table udecdash.touched set unlogged;
alter table udecdash.tracked_loads set unlogged;
