-- dap_base: the tables that the dashboard's relations are made of, with the columns that these read, whatever a download brings
create table if not exists udecdash_dap.assignments (
    id bigint primary key, context_id bigint, context_type text, title text, description text, workflow_state text,
    submission_types text, created_at timestamp, updated_at timestamp, due_at timestamp, unlock_at timestamp,
    lock_at timestamp, points_possible double precision, grading_type text, position bigint,
    assignment_group_id bigint, peer_review_count bigint, peer_reviews_due_at timestamp, all_day_date date,
    peer_reviews_assigned boolean, peer_reviews boolean, automatic_peer_reviews boolean, all_day boolean,
    could_be_locked boolean, grade_group_students_individually boolean, anonymous_peer_reviews boolean,
    only_visible_to_overrides boolean);
create table if not exists udecdash_dap.attachments (
    id bigint primary key, context_id bigint, context_type text, display_name text, content_type text,
    file_state text, md5 text, user_id bigint, folder_id bigint, replacement_attachment_id bigint,
    root_attachment_id bigint, locked boolean, could_be_locked boolean, lock_at timestamp, unlock_at timestamp,
    viewed_at timestamp, created_at timestamp, updated_at timestamp, deleted_at timestamp);
create table if not exists udecdash_dap.communication_channels (
    id bigint primary key, user_id bigint, path text, path_type text, position bigint, workflow_state text,
    created_at timestamp, updated_at timestamp);
create table if not exists udecdash_dap.content_tags (
    id bigint primary key, context_id bigint, context_type text, context_module_id bigint, tag_type text,
    content_type text, content_id bigint, workflow_state text, position bigint, title text, url text,
    created_at timestamp, updated_at timestamp);
create table if not exists udecdash_dap.context_external_tools (
    id bigint primary key, context_id bigint, context_type text, url text, name text, description text,
    workflow_state text, tool_id text, not_selectable boolean, created_at timestamp, updated_at timestamp);
create table if not exists udecdash_dap.context_modules (
    id bigint primary key, context_id bigint, context_type text, name text, position bigint, workflow_state text,
    require_sequential_progress boolean, unlock_at timestamp, created_at timestamp, updated_at timestamp,
    deleted_at timestamp);
create table if not exists udecdash_dap.conversation_messages (
    id bigint primary key, conversation_id bigint, author_id bigint, created_at timestamp, generated boolean,
    has_attachments boolean, has_media_objects boolean, body text);
create table if not exists udecdash_dap.conversations (
    id bigint primary key, context_id bigint, context_type text, has_attachments boolean, has_media_objects boolean,
    subject text);
create table if not exists udecdash_dap.course_sections (
    id bigint primary key, course_id bigint, enrollment_term_id bigint, nonxlist_course_id bigint, name text,
    workflow_state text, default_section boolean, accepting_enrollments boolean,
    restrict_enrollments_to_section_dates boolean, sis_source_id text, start_at timestamp, end_at timestamp,
    created_at timestamp, updated_at timestamp);
create table if not exists udecdash_dap.courses (
    id bigint primary key, account_id bigint, enrollment_term_id bigint, wiki_id bigint, name text, course_code text,
    workflow_state text, is_public boolean, sis_source_id text, syllabus_body text, created_at timestamp,
    start_at timestamp, conclude_at timestamp);
create table if not exists udecdash_dap.discussion_entries (
    id bigint primary key, discussion_topic_id bigint, user_id bigint, parent_id bigint);
create table if not exists udecdash_dap.discussion_topics (
    id bigint primary key, context_id bigint, context_type text, user_id bigint, editor_id bigint,
    assignment_id bigint, title text, message text, type text, workflow_state text, discussion_type text,
    pinned boolean, locked boolean, last_reply_at timestamp, delayed_post_at timestamp, posted_at timestamp,
    created_at timestamp, updated_at timestamp, deleted_at timestamp);
create table if not exists udecdash_dap.enrollment_terms (
    id bigint primary key, name text, sis_source_id text, start_at timestamp, end_at timestamp);
create table if not exists udecdash_dap.enrollments (
    id bigint primary key, user_id bigint, course_id bigint, course_section_id bigint, role_id bigint, type text,
    workflow_state text, self_enrolled boolean, created_at timestamp, updated_at timestamp, start_at timestamp,
    end_at timestamp, completed_at timestamp, last_activity_at timestamp);
create table if not exists udecdash_dap.quizzes (
    id bigint primary key, context_id bigint, context_type text, title text, description text, quiz_type text,
    assignment_id bigint, workflow_state text, points_possible double precision, scoring_policy text, ip_filter text,
    anonymous_submissions boolean, one_question_at_a_time boolean, shuffle_answers boolean, cant_go_back boolean,
    could_be_locked boolean, require_lockdown_browser boolean, require_lockdown_browser_for_results boolean,
    require_lockdown_browser_monitor boolean, show_correct_answers_at timestamp, hide_correct_answers_at timestamp,
    created_at timestamp, updated_at timestamp, published_at timestamp, unlock_at timestamp, lock_at timestamp,
    due_at timestamp, deleted_at timestamp);
alter table udecdash_dap.quizzes add column if not exists hide_results text,
    add column if not exists one_time_results boolean, add column if not exists show_correct_answers boolean,
    add column if not exists show_correct_answers_last_attempt boolean;
create table if not exists udecdash_dap.users (
    id bigint primary key, name text, sortable_name text, time_zone text, locale text, school_name text,
    school_position text, workflow_state text, public boolean, created_at timestamp);
create table if not exists udecdash_dap.wiki_pages (
    id bigint primary key, context_id bigint, context_type text, wiki_id bigint, user_id bigint, title text,
    body text, url text, workflow_state text, editing_roles text, protected_editing boolean, could_be_locked boolean,
    revised_at timestamp, created_at timestamp, updated_at timestamp);
