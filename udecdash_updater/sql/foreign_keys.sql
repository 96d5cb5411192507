-- foreign_keys: those of these tables: name, table, the one referred to, deferrable, what a deletion there does; as SQL:
-- the condition that row t refers to something, and that it is row r of the other table
select k.conname::text, c.relname::text, k.confrelid::regclass::text, k.condeferrable, k.confdeltype = 'a',
    (select string_agg(format('t.%%I is not null', a.attname), ' and ')
        from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)),
    (select string_agg(format('t.%%I = r.%%I', a.attname, b.attname), ' and ')
        from unnest(k.conkey, k.confkey) pair (own, other)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.own
        join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.other)
from pg_constraint k join pg_class c on c.oid = k.conrelid
where k.contype = 'f' and k.conparentid = 0 and c.relnamespace = to_regnamespace(quote_ident(current_schema()))
  and c.relname = any (%(tables)s)
order by c.relname, k.conname

-- referred_columns: the columns of a table of DB_SCHEMA to which foreign keys refer that do not wait, or act on an update
select distinct a.attname::text from pg_constraint k
join pg_attribute a on a.attrelid = k.confrelid and a.attnum = any (k.confkey)
where k.contype = 'f' and k.confrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
  and not (k.condeferrable and k.confupdtype = 'a')

-- make_deferrable: others see no difference; a transaction that asks for it is judged at its end
alter table {table} alter constraint {key} deferrable initially immediate

-- judge_keys: foreign keys of DB_SCHEMA, at the end of the transaction or now
set constraints {keys} {when}

-- orphans: rows, by key, that refer to nothing
select concat_ws(E'\t', {key}) from {table} t where {refers} and not exists (select from {other} r where {same}) limit {most}

-- take_orphans: they leave their table, so that rows show which refer to them
delete from {table} t where {refers} and not exists (select from {other} r where {same})
