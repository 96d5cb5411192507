-- no_touched_rows: a publish gathers there the rows that it wrote or took away, of the tables that requests can reach
delete from udecdash.touched_rows

-- merge_and_tell: a statement of the publish; how many rows it touched, and the sum of the places at which it wrote
with done as ({merge} returning {place} as place)
select count(*), coalesce(sum(place), 0) from done

-- merge_and_note: the same, and what it touched is noted
with done as ({merge} returning {id}, {canvas_id}, {place} as place),
noted as (insert into udecdash.touched_rows select {table}, id, canvas_id from done)
select count(*), coalesce(sum(place), 0) from done

-- note_touched: what unresolved requests may wait for, in the words of resolution.wants
insert into udecdash.touched (resource, run_id)
select udecdash.fingerprint(table_name || ' ' || key.name || ' ' || key.value), %(run)s
from udecdash.touched_rows cross join lateral (values ('id', id), ('canvas_id', canvas_id)) key (name, value)
where key.value is not null
on conflict do nothing

-- note_touched_pages: pages that a course has gained, by a new page or by a module item that now points at one
insert into udecdash.touched (resource, run_id)
select udecdash.fingerprint('page ' || m.course_id || ' ' || p.url), %(run)s
from module_item_dim m join wiki_page_dim p on p.id = m.wiki_page_id
where p.url is not null and m.course_id is not null and (
    m.id in (select id from udecdash.touched_rows where table_name = 'module_item_dim')
    or p.id in (select id from udecdash.touched_rows where table_name = 'wiki_page_dim'))
on conflict do nothing

-- note_tracked: this load told what it touched
insert into udecdash.tracked_loads (run_id) values (%(run)s)

-- analyze_touched: so that what is due is found by its indexes
analyze udecdash.touched

-- try_lock_jobs: true when no job is at work, so none can have an older view of the tables; until the transaction ends
select pg_try_advisory_xact_lock(hashtext('udecdash-updater'), hashtext('jobs'))

-- forget_touched: what no course that has not seen it waits for
delete from udecdash.touched t where not exists (
    select from udecdash.wanted w join udecdash.courses c using (course_id)
    where w.resource = t.resource and c.resources_run < t.run_id)
