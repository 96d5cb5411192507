-- What a run tells of itself in Spanish too, and what it advised; the columns that were there are in English.
-- Runs of before have none of it: there the English stands for both.
alter table udecdash.runs add column error_es text, add column hint text, add column hint_es text,
    add column warnings_es text[];
alter table udecdash.stages add column message_es text;
