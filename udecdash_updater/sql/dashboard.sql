-- create_requests: the web log as the dashboard reads it
create table if not exists requests (
    local_id bigserial primary key, id varchar(36), timestamp timestamp(3), user_id bigint, course_id bigint,
    quiz_id bigint, discussion_id bigint, conversation_id bigint, assignment_id bigint, url text, user_agent text)

-- index_requests_id: the dashboard's index on id, not unique there; by hash: random ids touch half as many of its pages
create index if not exists requests_id_index on requests using hash (id)

-- index_requests_course: a course's requests in load order
create index if not exists requests_course_id_local_id_index on requests (course_id, local_id)

-- create_interactions: one kind of interactions
create table if not exists {table} (
    course_id bigint not null, user_id bigint not null, item_id bigint, item_canvas_id bigint,
    viewed timestamp(0) without time zone not null, {downloaded} url text not null,
    device varchar(255) check (device in ('DESKTOP', 'MOBILE')),
    primary key (course_id, item_canvas_id, user_id, viewed))

-- index_interactions: the dashboard's indexes on one column
create index if not exists {index} on {table} ({column})

-- index_interactions_items: the dashboard's index for first views
create index if not exists {index} on {table} (course_id, item_id, user_id, viewed)

-- create_course_interactions: days on which somebody worked in a course
create table if not exists course_interactions (
    course_id bigint, user_id bigint, year_month integer, interaction_date date,
    primary key (course_id, user_id, interaction_date))

-- index_course_interactions: months of a course
create index if not exists course_interactions_course_id_year_month_index on course_interactions (course_id, year_month)

-- create_unprocessable: requests that found nothing
create table if not exists unprocessable_interactions (
    id bigserial primary key, course_id bigint not null, user_id bigint not null, url text not null,
    error_label varchar(255), error_message varchar(255), log text not null)

-- index_unprocessable: a course's unresolved requests are read together
create index if not exists unprocessable_interactions_course_id_index on unprocessable_interactions (course_id, id)

-- indexed_columns: the columns of each plain index of a table
select array_agg(a.attname::text order by k.place)
from pg_index i
cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, place)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = to_regclass(quote_ident(current_schema()) || '.' || quote_ident(%(table)s))
  and i.indpred is null and i.indexprs is null
group by i.indexrelid
