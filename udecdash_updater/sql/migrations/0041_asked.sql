-- The tables that a run was told to load; without any it is a whole night, and only those tell how long nights take.
alter table udecdash.runs add column tables text[] not null default '{}';
