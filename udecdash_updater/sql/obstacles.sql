-- obstacles: what stands under these names in DB_SCHEMA and is no table that can be filled, and its kind
select c.relname::text, c.relkind::text
from pg_class c
where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relname = any (%(tables)s)
  and (c.relkind not in ('r', 'p') or not exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
union all
select t.typname::text, 'c' from pg_type t
where t.typnamespace = to_regnamespace(quote_ident(current_schema())) and t.typname = any (%(tables)s) and t.typrelid = 0
order by 1

-- columns_lacking: those that a night writes and that requests, where it is among these tables, does not have
select string_agg(name, ', ') from unnest(array['local_id', 'id', 'timestamp', 'user_id', 'course_id', 'quiz_id',
    'discussion_id', 'conversation_id', 'assignment_id', 'url', 'user_agent']) name
join pg_class c on c.relname = 'requests' and c.relnamespace = to_regnamespace(quote_ident(current_schema()))
where c.relname = any (%(tables)s) and c.relkind in ('r', 'p') and not exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attname = name and not a.attisdropped)
having count(*) > 0

-- veiled: tables among these whose rows policies hide from us, and who we are
select c.relname::text, current_user::text from pg_class c
where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relname = any (%(tables)s)
  and c.relrowsecurity and row_security_active(c.oid)
order by 1

-- inherited: tables among these that show another one's rows too, and that one
select c.relname::text, i.inhrelid::regclass::text from pg_class c join pg_inherits i on i.inhparent = c.oid
where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relname = any (%(tables)s) and c.relkind = 'r'
order by 1, 2

-- diverted: rules by which something else happens instead of writing to one of these tables: which, name, if always
select c.relname::text, quote_ident(r.rulename), r.ev_qual::text = '<>'
from pg_class c join pg_rewrite r on r.ev_class = c.oid
where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relname = any (%(tables)s)
  and c.relkind in ('r', 'p') and r.is_instead and r.ev_type in ('2', '3', '4') and r.ev_enabled in ('O', 'A')
order by 1, 2

-- returning_null: triggers before each row of one of these tables whose function may return null: which, name, function
select c.relname::text, quote_ident(t.tgname), p.oid::regproc::text
from pg_class c join pg_trigger t on t.tgrelid = c.oid join pg_proc p on p.oid = t.tgfoid
where c.relnamespace = to_regnamespace(quote_ident(current_schema())) and c.relname = any (%(tables)s)
  and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 3 = 3 and p.prosrc ~* '\mreturn\s+null\M'
order by 1, 2
