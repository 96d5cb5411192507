-- dap_course_dim: courses
select udecdash.dap_id(c.id::bigint, %(shard)s) as id, c.id::bigint as canvas_id,
    udecdash.dap_id(c.account_id::bigint, %(shard)s) as account_id,
    udecdash.dap_id(c.enrollment_term_id::bigint, %(shard)s) as enrollment_term_id, c.name, c.course_code as code,
    c.created_at::timestamp, c.start_at::timestamp, c.conclude_at::timestamp,
    c.is_public::boolean as publicly_visible, c.sis_source_id, c.workflow_state,
    udecdash.dap_id(c.wiki_id::bigint, %(shard)s) as wiki_id, c.syllabus_body
from udecdash_dap.courses c

-- dap_enrollment_term_dim: terms
select udecdash.dap_id(e.id::bigint, %(shard)s) as id, e.id::bigint as canvas_id, e.name,
    e.start_at::timestamp as date_start, e.end_at::timestamp as date_end, e.sis_source_id
from udecdash_dap.enrollment_terms e

-- dap_course_section_dim: sections
select udecdash.dap_id(s.id::bigint, %(shard)s) as id, s.id::bigint as canvas_id, s.name,
    udecdash.dap_id(s.course_id::bigint, %(shard)s) as course_id,
    udecdash.dap_id(s.enrollment_term_id::bigint, %(shard)s) as enrollment_term_id, s.default_section::boolean,
    s.accepting_enrollments::boolean, s.start_at::timestamp, s.end_at::timestamp, s.created_at::timestamp,
    s.updated_at::timestamp, s.workflow_state, s.restrict_enrollments_to_section_dates::boolean,
    udecdash.dap_id(s.nonxlist_course_id::bigint, %(shard)s) as nonxlist_course_id, s.sis_source_id
from udecdash_dap.course_sections s

-- dap_enrollment_dim: who is in a course and as what; StudentViewEnrollment and the like are called so in both
select udecdash.dap_id(e.id::bigint, %(shard)s) as id, e.id::bigint as canvas_id,
    udecdash.dap_id(e.course_section_id::bigint, %(shard)s) as course_section_id,
    udecdash.dap_id(e.role_id::bigint, %(shard)s) as role_id, e.type, e.workflow_state, e.created_at::timestamp,
    e.updated_at::timestamp, e.start_at::timestamp, e.end_at::timestamp, e.completed_at::timestamp,
    e.self_enrolled::boolean, udecdash.dap_id(e.course_id::bigint, %(shard)s) as course_id,
    coalesce(u.id, udecdash.dap_id(e.user_id::bigint, %(shard)s)) as user_id, e.last_activity_at::timestamp
from udecdash_dap.enrollments e left join udecdash.dap_users u on u.canvas_id = e.user_id::bigint

-- dap_user_dim: users; global_canvas_id is the id that the formula gives, whatever id the user has
select coalesce(o.id, udecdash.dap_id(u.id::bigint, %(shard)s)) as id, u.id::bigint as canvas_id, u.name,
    u.time_zone, u.created_at::timestamp, u.school_name, u.school_position, u.locale, u.public::boolean::text,
    u.workflow_state, u.sortable_name, udecdash.dap_id(u.id::bigint, %(shard)s)::text as global_canvas_id
from udecdash_dap.users u left join udecdash.dap_users o on o.canvas_id = u.id::bigint

-- dap_communication_channel_dim: addresses of users
select udecdash.dap_id(c.id::bigint, %(shard)s) as id, c.id::bigint as canvas_id,
    coalesce(u.id, udecdash.dap_id(c.user_id::bigint, %(shard)s)) as user_id, c.path as address, c.path_type as type,
    c.position::bigint, c.workflow_state, c.created_at::timestamp, c.updated_at::timestamp
from udecdash_dap.communication_channels c left join udecdash.dap_users u on u.canvas_id = c.user_id::bigint

-- dap_module_dim: modules
select udecdash.dap_id(m.id::bigint, %(shard)s) as id, m.id::bigint as canvas_id,
    case m.context_type when 'Course' then udecdash.dap_id(m.context_id::bigint, %(shard)s) end as course_id,
    case m.require_sequential_progress::boolean when true then 'required' when false then 'not_required'
        else 'unspecified' end as require_sequential_progress,
    m.workflow_state, m.position::bigint, m.name, m.created_at::timestamp, m.deleted_at::timestamp,
    m.unlock_at::timestamp, m.updated_at::timestamp
from udecdash_dap.context_modules m

-- dap_module_item_dim: content tags of modules, without deleted ones (rule R2)
select udecdash.dap_id(t.id::bigint, %(shard)s) as id, t.id::bigint as canvas_id,
    case t.content_type when 'Assignment' then t.content end as assignment_id,
    case t.context_type when 'Course' then udecdash.dap_id(t.context_id::bigint, %(shard)s) end as course_id,
    case when t.content_type in ('DiscussionTopic', 'Announcement') then t.content end as discussion_topic_id,
    case t.content_type when 'Attachment' then t.content end as file_id,
    udecdash.dap_id(t.context_module_id::bigint, %(shard)s) as module_id,
    case t.content_type when 'Quizzes::Quiz' then t.content end as quiz_id,
    case t.content_type when 'WikiPage' then t.content end as wiki_page_id,
    case t.content_type when 'Quizzes::Quiz' then 'Quiz' else t.content_type end as content_type,
    t.workflow_state, t.position::bigint, t.title, t.url, t.created_at::timestamp, t.updated_at::timestamp
from (select *, udecdash.dap_id(nullif(content_id::bigint, 0), %(shard)s) as content from udecdash_dap.content_tags
    where tag_type = 'context_module' and workflow_state is distinct from 'deleted') t

-- dap_wiki_page_dim: pages and their slugs
select udecdash.dap_id(p.id::bigint, %(shard)s) as id, p.id::bigint as canvas_id, p.title, p.body, p.workflow_state,
    p.created_at::timestamp, p.updated_at::timestamp, p.url, p.protected_editing::boolean, p.editing_roles,
    p.revised_at::timestamp, p.could_be_locked::boolean
from udecdash_dap.wiki_pages p

-- dap_wiki_page_fact: where pages belong
select udecdash.dap_id(p.id::bigint, %(shard)s) as wiki_page_id,
    udecdash.dap_id(p.wiki_id::bigint, %(shard)s) as wiki_id,
    case p.context_type when 'Course' then udecdash.dap_id(p.context_id::bigint, %(shard)s) end as parent_course_id,
    case p.context_type when 'Group' then udecdash.dap_id(p.context_id::bigint, %(shard)s) end as parent_group_id,
    coalesce(u.id, udecdash.dap_id(p.user_id::bigint, %(shard)s)) as user_id
from udecdash_dap.wiki_pages p left join udecdash.dap_users u on u.canvas_id = p.user_id::bigint

-- dap_quiz_dim: quizzes; what is a boolean now was a pair of words
select udecdash.dap_id(q.id::bigint, %(shard)s) as id, q.id::bigint as canvas_id, q.title as name,
    q.points_possible::double precision, q.description, q.quiz_type,
    case q.context_type when 'Course' then udecdash.dap_id(q.context_id::bigint, %(shard)s) end as course_id,
    udecdash.dap_id(q.assignment_id::bigint, %(shard)s) as assignment_id, q.workflow_state, q.scoring_policy,
    case q.anonymous_submissions::boolean when true then 'allow_anonymous_submissions'
        when false then 'disallow_anonymous_submissions' end as anonymous_submissions,
    case q.one_question_at_a_time::boolean when true then 'one_at_a_time' when false then 'multiple_at_a_time'
        end as display_questions,
    case q.shuffle_answers::boolean when true then 'shuffled' when false then 'in_order' end as answer_display_order,
    case q.cant_go_back::boolean when true then 'disallow_going_back' when false then 'allow_going_back'
        end as go_back_to_previous_question,
    case q.could_be_locked::boolean when true then 'allow_locking' when false then 'disallow_locking'
        end as could_be_locked,
    case q.require_lockdown_browser::boolean when true then 'required' when false then 'not_required'
        end as browser_lockdown,
    case q.require_lockdown_browser_for_results::boolean when true then 'required' when false then 'not_required'
        end as browser_lockdown_for_displaying_results,
    case q.require_lockdown_browser_monitor::boolean when true then 'required' when false then 'not_required'
        end as browser_lockdown_monitor,
    case when q.hide_results = 'always' then 'never'
        when q.one_time_results::boolean then 'only_once_after_last_attempt'
        when q.hide_results = 'until_after_last_attempt' then 'always_after_last_attempt'
        when not q.one_time_results::boolean then 'always' end as show_results,
    case when not q.show_correct_answers::boolean then 'never'
        when q.show_correct_answers_last_attempt::boolean then 'always_after_last_attempt'
        when q.show_correct_answers::boolean then 'always' end as show_correct_answers,
    q.ip_filter, q.show_correct_answers_at::timestamp, q.hide_correct_answers_at::timestamp,
    q.created_at::timestamp, q.updated_at::timestamp, q.published_at::timestamp, q.unlock_at::timestamp,
    q.lock_at::timestamp, q.due_at::timestamp, q.deleted_at::timestamp
from udecdash_dap.quizzes q

-- dap_file_dim: files; what they belong to is named by a class
select udecdash.dap_id(a.id::bigint, %(shard)s) as id, a.id::bigint as canvas_id, a.display_name,
    case a.context_type when 'Account' then a.context end as account_id,
    case a.context_type when 'Assignment' then a.context end as assignment_id,
    case a.context_type when 'ConversationMessage' then a.context end as conversation_message_id,
    case a.context_type when 'Course' then a.context end as course_id,
    udecdash.dap_id(a.folder_id::bigint, %(shard)s) as folder_id,
    case a.context_type when 'Group' then a.context end as group_id,
    case a.context_type when 'Quizzes::Quiz' then a.context end as quiz_id,
    case a.context_type when 'Quizzes::QuizSubmission' then a.context end as quiz_submission_id,
    udecdash.dap_id(a.replacement_attachment_id::bigint, %(shard)s) as replacement_file_id,
    udecdash.dap_id(a.root_attachment_id::bigint, %(shard)s) as root_file_id,
    case a.context_type when 'Submission' then a.context end as submission_id,
    coalesce(u.id, udecdash.dap_id(a.user_id::bigint, %(shard)s)) as uploader_id,
    case a.context_type when 'User' then coalesce(o.id, a.context) end as user_id,
    case a.context_type when 'Quizzes::Quiz' then 'quiz' when 'Quizzes::QuizSubmission' then 'quiz_submission'
        when 'ConversationMessage' then 'conversation_message' else lower(a.context_type) end as owner_entity_type,
    a.content_type, a.md5, a.file_state,
    case a.could_be_locked::boolean when true then 'allow_locking' when false then 'disallow_locking'
        end as could_be_locked,
    case a.locked::boolean when true then 'is_locked' when false then 'is_not_locked' end as locked,
    a.lock_at::timestamp, a.unlock_at::timestamp, a.viewed_at::timestamp, a.created_at::timestamp,
    a.updated_at::timestamp, a.deleted_at::timestamp
from (select *, udecdash.dap_id(context_id::bigint, %(shard)s) as context from udecdash_dap.attachments) a
left join udecdash.dap_users u on u.canvas_id = a.user_id::bigint
left join udecdash.dap_users o on o.canvas_id = a.context_id::bigint and a.context_type = 'User'

-- dap_discussion_topic_dim: topics and announcements
select udecdash.dap_id(d.id::bigint, %(shard)s) as id, d.id::bigint as canvas_id, d.title, d.message, d.type,
    d.workflow_state, d.last_reply_at::timestamp, d.created_at::timestamp, d.updated_at::timestamp,
    d.delayed_post_at::timestamp, d.posted_at::timestamp, d.deleted_at::timestamp, d.discussion_type,
    d.pinned::boolean, d.locked::boolean,
    case d.context_type when 'Course' then udecdash.dap_id(d.context_id::bigint, %(shard)s) end as course_id,
    case d.context_type when 'Group' then udecdash.dap_id(d.context_id::bigint, %(shard)s) end as group_id
from udecdash_dap.discussion_topics d

-- dap_assignment_dim: assignments; a JSON list of submission types was a text with commas
select udecdash.dap_id(a.id::bigint, %(shard)s) as id, a.id::bigint as canvas_id,
    case a.context_type when 'Course' then udecdash.dap_id(a.context_id::bigint, %(shard)s) end as course_id,
    a.title, a.description, a.due_at::timestamp, a.unlock_at::timestamp, a.lock_at::timestamp,
    a.points_possible::double precision, a.grading_type,
    nullif(replace(translate(a.submission_types, '[]{{}}"', ''), ', ', ','), '') as submission_types,
    a.workflow_state, a.created_at::timestamp, a.updated_at::timestamp, a.peer_review_count::bigint,
    a.peer_reviews_due_at::timestamp, a.peer_reviews_assigned::boolean, a.peer_reviews::boolean,
    a.automatic_peer_reviews::boolean, a.all_day::boolean, a.all_day_date::date, a.could_be_locked::boolean,
    a.grade_group_students_individually::boolean, a.anonymous_peer_reviews::boolean,
    udecdash.dap_id(a.assignment_group_id::bigint, %(shard)s) as assignment_group_id, a.position::bigint,
    case a.only_visible_to_overrides::boolean when true then 'only_visible_to_overrides' when false then 'everyone'
        end as visibility
from udecdash_dap.assignments a

-- dap_external_tool_activation_dim: tools; their state holds the privacy level, or says deleted
select udecdash.dap_id(t.id::bigint, %(shard)s) as id, t.id::bigint as canvas_id,
    case t.context_type when 'Course' then udecdash.dap_id(t.context_id::bigint, %(shard)s) end as course_id,
    case t.context_type when 'Account' then udecdash.dap_id(t.context_id::bigint, %(shard)s) end as account_id,
    lower(t.context_type) as activation_target_type, t.url, t.name, t.description,
    case t.workflow_state when 'deleted' then 'deleted' else 'active' end as workflow_state,
    nullif(t.workflow_state, 'deleted') as privacy_level, t.created_at::timestamp, t.updated_at::timestamp,
    t.tool_id, not t.not_selectable::boolean as selectable_all
from udecdash_dap.context_external_tools t

-- dap_conversation_dim: conversations
select udecdash.dap_id(c.id::bigint, %(shard)s) as id, c.id::bigint as canvas_id, c.has_attachments::boolean,
    c.has_media_objects::boolean, c.subject,
    case c.context_type when 'Course' then udecdash.dap_id(c.context_id::bigint, %(shard)s) end as course_id,
    case c.context_type when 'Group' then udecdash.dap_id(c.context_id::bigint, %(shard)s) end as group_id,
    case c.context_type when 'Account' then udecdash.dap_id(c.context_id::bigint, %(shard)s) end as account_id
from udecdash_dap.conversations c

-- dap_conversation_message_dim: messages
select udecdash.dap_id(m.id::bigint, %(shard)s) as id, m.id::bigint as canvas_id,
    udecdash.dap_id(m.conversation_id::bigint, %(shard)s) as conversation_id,
    coalesce(u.id, udecdash.dap_id(m.author_id::bigint, %(shard)s)) as author_id, m.created_at::timestamp,
    m.generated::boolean, m.has_attachments::boolean, m.has_media_objects::boolean, m.body
from udecdash_dap.conversation_messages m left join udecdash.dap_users u on u.canvas_id = m.author_id::bigint

-- dap_discussion_entry_fact: what was written under topics; course and assignment are the topic's
select udecdash.dap_id(e.id::bigint, %(shard)s) as discussion_entry_id,
    udecdash.dap_id(e.parent_id::bigint, %(shard)s) as parent_discussion_entry_id,
    coalesce(u.id, udecdash.dap_id(e.user_id::bigint, %(shard)s)) as user_id,
    udecdash.dap_id(e.discussion_topic_id::bigint, %(shard)s) as topic_id,
    case d.context_type when 'Course' then udecdash.dap_id(d.context_id::bigint, %(shard)s) end as course_id,
    coalesce(o.id, udecdash.dap_id(d.user_id::bigint, %(shard)s)) as topic_user_id,
    coalesce(v.id, udecdash.dap_id(d.editor_id::bigint, %(shard)s)) as topic_editor_id,
    udecdash.dap_id(d.assignment_id::bigint, %(shard)s) as topic_assignment_id
from udecdash_dap.discussion_entries e
left join udecdash_dap.discussion_topics d on d.id::bigint = e.discussion_topic_id::bigint
left join udecdash.dap_users u on u.canvas_id = e.user_id::bigint
left join udecdash.dap_users o on o.canvas_id = d.user_id::bigint
left join udecdash.dap_users v on v.canvas_id = d.editor_id::bigint

-- dap_no_rows: the columns of a relation
select * from ({query}) relation limit 0

-- dap_due: the rows of a relation, but for those that it refused
(select * from ({query}) relation where concat_ws(E'\t', {key}) <> all(%(refused)s))

-- dap_fill: rows of a relation into its staging
insert into {staging} ({columns}) select {taken} from {due} due

-- dap_taken: a value as the found table has it
{column}::{type}

-- dap_texts: the columns of a staging that hold texts, be it by a domain
select a.attname::text from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = %(staging)s::regclass and a.attnum > 0 and t.typcategory = 'S'

-- dap_keep_due: the rows where they can be looked at part by part
create temporary table _due on commit drop as select * from {due} due

-- dap_forget_staged: the next relation of the same transaction uses the same names
drop table if exists pg_temp._staged, pg_temp._changes, pg_temp._due
