-- due_courses: known courses, how many of their requests wait to be judged, and how many unresolved ones again
with loads as (
    select coalesce(max(l.run_id), 0) as latest, coalesce(max(l.run_id) filter (where t.run_id is null), 0) as untold
    from udecdash.table_loads l left join udecdash.tracked_loads t using (run_id)),
resolvable as (
    select w.course_id, count(distinct w.number) as requests
    from udecdash.touched t join udecdash.wanted w using (resource) join udecdash.courses c using (course_id)
    where t.run_id > c.resources_run group by w.course_id),
progress as (
    select d.id, coalesce(r.newest, 0) > coalesce(c.mark, 0) as fresh,
        greatest(coalesce(r.total, 0) - coalesce(c.total, 0), 1) as waiting,
        case when c.canvas_id is distinct from d.canvas_id and c.canvas_id is not null
            or c.resources_run < loads.latest and c.resources_run < greatest(loads.untold, 1)
        then c.unresolved else v.requests end as again
    from loads cross join course_dim d
    left join udecdash.course_requests r on r.course_id = d.id
    left join udecdash.courses c on c.course_id = d.id
    left join resolvable v on v.course_id = d.id)
select id, case when fresh then waiting else 0 end, coalesce(again, 0) from progress
where fresh or again > 0 order by id

-- course_members: students, teachers and others of each course, as the dashboard counts them for its queues; a set of
-- courses and no array, which would be searched from its beginning for every enrollment
select course_id, count(*) from enrollment_dim where workflow_state::text in ('active', 'completed')
    and course_id in (select unnest(%(courses)s::bigint[])) group by course_id

-- lock_courses: one writer a course, waiting for another one to end; shared: a job is at work (see touched.sql). Whoever
-- locks several names them in order, so that no two wait for each other
select pg_advisory_lock_shared(hashtext('udecdash-updater'), hashtext('jobs')), pg_advisory_lock(course)
from unnest(%(courses)s::bigint[]) course

-- unlock_courses: give all of them back
select pg_advisory_unlock_all()

-- flush_later: this transaction's commit does not wait for the disk
set local synchronous_commit = off

-- course_progress: how far the courses are, as course.Progress has it
select d.id, coalesce(r.newest, 0), coalesce(r.total, 0), coalesce(c.mark, 0), coalesce(c.total, 0),
    case when coalesce(r.total, 0) - coalesce(c.total, 0) > %(slice)s then (
        select q.local_id from requests q where q.course_id = d.id and q.local_id > coalesce(c.mark, 0)
        order by q.local_id offset %(slice)s - 1 limit 1) end,
    d.canvas_id, coalesce(c.unresolved, 0), coalesce(c.resources_run, 0),
    (select coalesce(max(run_id), 0) from udecdash.table_loads),
    c.canvas_id is distinct from d.canvas_id or c.resources_run = 0 or exists (
        select from udecdash.table_loads l where l.run_id > c.resources_run
            and not exists (select from udecdash.tracked_loads t where t.run_id = l.run_id))
from course_dim d
left join udecdash.course_requests r on r.course_id = d.id
left join udecdash.courses c on c.course_id = d.id
where d.id = any (%(courses)s)

-- course_pages: the pages that some module item of the courses points at
select m.course_id, p.url, p.id, p.canvas_id, m.id
from module_item_dim m join wiki_page_dim p on p.id = m.wiki_page_id
where m.course_id = any (%(courses)s) and p.url is not null

-- look_up: the rows of a table with these ids
select {columns} from {table} where {column} = any (%(ids)s)

-- new_requests: the next ones of a course after its mark, in load order. Rows are compared, so that the index of course
-- and local_id serves: by that of local_id alone, which looks cheap at the table's end, all other courses' would be read
select local_id, id, timestamp, user_id, user_agent, course_id, quiz_id, discussion_id, assignment_id, url
from requests where (course_id, local_id) > (%(course)s, %(mark)s) and (course_id, local_id) <= (%(course)s, %(upto)s)
order by course_id, local_id limit %(most)s

-- new_requests_together: the same of several courses, one after the other
select q.* from unnest(%(courses)s::bigint[], %(marks)s::bigint[], %(uptos)s::bigint[]) s (course, mark, upto)
cross join lateral (
    select local_id, id, timestamp, user_id, user_agent, course_id, quiz_id, discussion_id, assignment_id, url
    from requests where (course_id, local_id) > (s.course, s.mark) and (course_id, local_id) <= (s.course, s.upto)
    order by course_id, local_id limit %(most)s) q
order by s.course, q.local_id limit %(most)s

-- unresolved_requests: the courses' requests that found nothing so far
select id, course_id, log, error_label, user_id, url from unprocessable_interactions
where course_id = any (%(courses)s) order by id

-- resolvable_requests: those of them that wait for something that was touched since they were judged
select u.id, u.course_id, u.log, u.error_label, u.user_id, u.url
from unprocessable_interactions u join (
    select distinct w.number, w.course_id
    from unnest(%(courses)s::bigint[], %(seen)s::bigint[]) s (course, seen)
    join udecdash.wanted w on w.course_id = s.course
    join udecdash.touched t on t.resource = w.resource and t.run_id > s.seen) n
    on u.id = n.number and u.course_id = n.course_id
order by u.id

-- taken_table: where interactions wait of which some stand in their table already
create temporary table taken (
    course_id bigint, item_canvas_id bigint, user_id bigint, viewed timestamp(0), device text, item_id bigint, url text,
    downloaded boolean) on commit drop

-- waiting_table: where a job gathers what found nothing and waits for something; each row has its id already
create temporary table if not exists waiting (like unprocessable_interactions including defaults, place bigint)
on commit delete rows

-- wants_table: where a job gathers what its unresolved requests wait for: new ones by place, others by number
create temporary table if not exists wants (course_id bigint, place bigint, number bigint, resource bigint)
on commit delete rows

-- insert_taken: those of them that do not stand there; how many of each course
with written as (
    insert into {target} ({columns}) select {columns} from taken on conflict do nothing returning course_id)
select course_id, count(*) from written group by course_id

-- drop_taken: there may be more of another table
drop table taken

-- insert_days: one row a course, user and local day
insert into course_interactions (course_id, user_id, year_month, interaction_date)
select course, user_id, to_char(day, 'YYYYMM')::integer, day
from unnest(%(courses)s::bigint[], %(users)s::bigint[], %(days)s::date[]) d (course, user_id, day)
order by course, user_id, day
on conflict do nothing

-- insert_waiting: requests that found nothing and wait for something
insert into unprocessable_interactions (id, course_id, user_id, url, error_label, error_message, log)
select id, course_id, user_id, url, error_label, error_message, log from waiting order by id

-- insert_wants: what the unresolved requests of this job wait for
insert into udecdash.wanted (course_id, resource, number)
select w.course_id, w.resource, coalesce(w.number, m.id) from wants w left join waiting m using (place)
on conflict do nothing

-- forget_wants: of requests that were judged again
delete from udecdash.wanted where course_id in (select unnest(%(courses)s::bigint[]))
    and number in (select unnest(%(numbers)s::bigint[]))

-- forget_all_wants: of courses whose unresolved requests are all judged again
delete from udecdash.wanted where course_id = any (%(courses)s)

-- delete_resolved: requests that found nothing once and now resolved
delete from unprocessable_interactions where id = any (%(ids)s)

-- relabel: requests that still find nothing, for another reason
update unprocessable_interactions u set error_label = v.label, error_message = v.message
from (values %s) v (id, label, message) where u.id = v.id

-- move_marks: what was judged, and by which tables
insert into udecdash.courses (course_id, mark, total, unresolved, resources_run, canvas_id, processed_run, judged,
    interactions, processed_at)
select v.course_id, v.mark, v.total, v.unresolved, v.resources_run, v.canvas_id::bigint, v.run, v.judged, v.interactions,
    clock_timestamp()
from (values %s) v (course_id, mark, total, unresolved, resources_run, canvas_id, run, judged, interactions)
on conflict (course_id) do update set mark = greatest(courses.mark, excluded.mark), total = excluded.total,
    unresolved = excluded.unresolved, resources_run = excluded.resources_run, canvas_id = excluded.canvas_id,
    judged = excluded.judged + case when courses.processed_run = excluded.processed_run then courses.judged else 0 end,
    interactions = excluded.interactions
        + case when courses.processed_run = excluded.processed_run then courses.interactions else 0 end,
    processed_run = excluded.processed_run, processed_at = excluded.processed_at, failures = 0, failure = null
