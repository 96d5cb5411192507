-- What a job does for one course, by one statement: the requests after its mark become interactions (R4 to R13).
-- {asked} and {of} are what the variants of course_by_sql.py differ in.
with fresh as materialized (
    select local_id, id, timestamp, user_id, course_id, quiz_id, discussion_id, assignment_id, url, user_agent
    from requests where course_id = %(course)s
        and local_id > (select coalesce(max(mark), 0) from udecdash.courses where course_id = %(course)s)),
agents as (
    select user_agent, case when user_agent ~ %(mobile)s then 'MOBILE' else 'DESKTOP' end as device
    from (select distinct coalesce(user_agent, '') as user_agent from fresh) d),
asked as ({asked}),
named as materialized (
    select asked.*, substring(url from %(path)s || 'pages/([^/?]+)') as slug,
        bench_number(substring(url from %(path)s || 'modules/items/([^/?]+)')) as item,
        bench_number(substring(url from %(path)s || 'files/([^/?]+)')) as file,
        bench_number(substring(url from %(path)s || 'quizzes/([^/?]+)')) as quiz,
        bench_number(substring(url from %(path)s || 'discussion_topics/([^/?]+)')) as topic,
        bench_number(substring(url from %(path)s || 'assignments/([^/?]+)')) as assignment,
        bench_number(substring(url from %(path)s || 'external_tools/([^/?]+)')) as tool
    from asked),
pages as (
    select p.url as slug, count(distinct p.id) as pages, min(p.id) as id, min(p.canvas_id) as canvas_id
    from module_item_dim m join wiki_page_dim p on p.id = m.wiki_page_id
    where m.course_id = %(course)s and p.url is not null and p.canvas_id is not null group by p.url),
found as materialized (
    select n.*, i.id as item_id, i.canvas_id as item_canvas_id, i.content_type, p.pages,
        case when p.pages = 1 then p.id else ip.id end as page_id,
        case when p.pages = 1 then p.canvas_id else ip.canvas_id end as page_canvas_id,
        f.id as direct_file, coalesce(f.id, i_f.id) as file_id, coalesce(f.canvas_id, i_f.canvas_id) as file_canvas_id,
        coalesce(cq.id, q.id) as direct_quiz, coalesce(cq.id, q.id, i_q.id) as quiz_row,
        coalesce(cq.canvas_id, q.canvas_id, i_q.canvas_id) as quiz_canvas_id,
        coalesce(ct.id, t.id) as direct_topic, coalesce(ct.id, t.id, i_t.id) as topic_row,
        coalesce(ct.canvas_id, t.canvas_id, i_t.canvas_id) as topic_canvas_id,
        coalesce(ca.id, a.id) as direct_assignment, coalesce(ca.id, a.id, i_a.id) as assignment_row,
        coalesce(ca.canvas_id, a.canvas_id, i_a.canvas_id) as assignment_canvas_id,
        x.id as tool_id, x.canvas_id as tool_canvas_id
    from named n
    left join pages p on p.slug = n.slug
    left join module_item_dim i on i.canvas_id = bench_id(n.item) and bench_id(n.item) <> 0
    left join wiki_page_dim ip on ip.id = i.wiki_page_id
    left join file_dim f on f.canvas_id = bench_id(n.file)
    left join file_dim i_f on i_f.id = i.file_id
    left join quiz_dim cq on n.quiz_id <> 0 and cq.id = n.quiz_id
    left join quiz_dim q on n.quiz_id = 0 and q.canvas_id = bench_id(n.quiz)
    left join quiz_dim i_q on i_q.id = i.quiz_id
    left join discussion_topic_dim ct on n.discussion_id <> 0 and ct.id = n.discussion_id
    left join discussion_topic_dim t on n.discussion_id = 0 and t.canvas_id = bench_id(n.topic)
    left join discussion_topic_dim i_t on i_t.id = i.discussion_topic_id
    left join assignment_dim ca on n.assignment_id <> 0 and ca.id = n.assignment_id
    left join assignment_dim a on n.assignment_id = 0 and a.canvas_id = bench_id(n.assignment)
    left join assignment_dim i_a on i_a.id = i.assignment_id
    left join external_tool_activation_dim x on x.canvas_id = bench_id(n.tool)),
kinds as (
    select found.*, case when page_id is not null then 'wiki_page' when file_id is not null then 'attachment'
        when quiz_row is not null then 'quiz' when topic_row is not null then 'discussion_topic'
        when assignment_row is not null then 'assignment' when content_type = 'ExternalUrl' then 'external_url'
        when tool_id is not null then 'context_external_tool' end as kind
    from found),
answers as materialized (
    select kinds.*,
        case kind when 'wiki_page' then page_id when 'attachment' then file_id when 'quiz' then quiz_row
            when 'discussion_topic' then topic_row when 'assignment' then assignment_row
            when 'external_url' then item_id else tool_id end as row_id,
        case kind when 'wiki_page' then page_canvas_id when 'attachment' then file_canvas_id
            when 'quiz' then quiz_canvas_id when 'discussion_topic' then topic_canvas_id
            when 'assignment' then assignment_canvas_id when 'external_url' then item_canvas_id
            else tool_canvas_id end as row_canvas_id,
        case when kind is not null then null
            when tool is not null then 'external_tool_activation_dim has no row with the canvas_id ' || tool
            when assignment_id <> 0 then 'assignment_dim has no row with the id ' || assignment_id
            when assignment is not null then 'assignment_dim has no row with the canvas_id ' || assignment
            when discussion_id <> 0 then 'discussion_topic_dim has no row with the id ' || discussion_id
            when topic is not null then 'discussion_topic_dim has no row with the canvas_id ' || topic
            when quiz_id <> 0 then 'quiz_dim has no row with the id ' || quiz_id
            when quiz is not null then 'quiz_dim has no row with the canvas_id ' || quiz
            when file is not null then 'file_dim has no row with the canvas_id ' || file
            when pages > 1 then pages || ' pages of the course''s modules have the url ' || slug
            when slug is not null then 'no page of the course''s modules has the url ' || slug
            when bench_id(item) is null or bench_id(item) = 0 then 'the URL names no item of its course'
            when item_id is null then 'no module item has the canvas_id ' || bench_id(item)
            else 'the module item ' || bench_id(item) || ' (' || content_type || ') leads to nothing that is known'
        end as message
    from kinds),
hits as materialized (
    select r.local_id, r.user_id, r.url, a.kind, a.row_id as item_id, a.row_canvas_id as item_canvas_id, g.device,
        date_trunc('second', r.timestamp) at time zone 'UTC' at time zone 'America/Santiago' as viewed,
        strpos(r.url, '/download?') > 0 as downloaded
    from fresh r join answers a on {of} join agents g on g.user_agent = coalesce(r.user_agent, '')
    where a.kind is not null),
days as (
    insert into course_interactions (course_id, user_id, year_month, interaction_date)
    select distinct %(course)s, user_id, to_char(viewed, 'YYYYMM')::integer, viewed::date from hits
    on conflict do nothing returning 1),
attachments as (
    insert into attachment_interactions (course_id, user_id, item_id, item_canvas_id, url, viewed, device, downloaded)
    select %(course)s, user_id, item_id, item_canvas_id, url, viewed, device, downloaded from hits
    where kind = 'attachment' order by item_canvas_id, user_id, viewed, local_id
    on conflict do nothing returning 1),
{inserts},
missed as (
    insert into unprocessable_interactions (course_id, user_id, url, error_label, error_message, log)
    select %(course)s, r.user_id, coalesce(r.url, ''),
        case when message like '%%pages of the course''s modules have%%' then 'multiple_wiki_pages'
            when message like 'no page of%%' then 'wiki_page_not_found'
            when message like '%%_dim has no row%%' then 'record_not_found_' || split_part(message, ' ', 1) end,
        left(a.message, 255),
        row_to_json((select l from (select r.local_id, r.id, r.timestamp::text, r.user_id, r.course_id, r.quiz_id,
            r.discussion_id, r.assignment_id, r.url, r.user_agent) l))
    from fresh r join answers a on {of} where a.kind is null
    returning 1),
moved as (
    insert into udecdash.courses (course_id, mark, unresolved, resources_run, canvas_id)
    select %(course)s, (select max(local_id) from fresh), (select count(*) from missed), 1, id + 100 from course_dim
    where id = %(course)s
    on conflict (course_id) do update set mark = excluded.mark, unresolved = excluded.unresolved returning 1)
select (select count(*) from days), (select count(*) from attachments), (select count(*) from moved)
