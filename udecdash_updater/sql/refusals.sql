-- acting_on: triggers and rules of a table
select 'trigger ' || tgname from pg_trigger where tgrelid = to_regclass(%(table)s) and not tgisinternal
union all
select 'rule ' || rulename from pg_rewrite where ev_class = to_regclass(%(table)s) and rulename <> '_RETURN'

-- last_place: the place behind the last row of a table of ours, as a number
select pg_relation_size(%(table)s::regclass) / current_setting('block_size')::int * 2048

-- staged_part: rows of a staging between two places
(select {place}, * from {staging} p where {place} >= {low}::tid and {place} < {high}::tid)

-- staged_key: the key of the row that stands there
select concat_ws(E'\t', {key}) from {staging} s
