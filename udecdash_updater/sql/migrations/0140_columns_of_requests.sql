-- What schema.json declared of requests when that run loaded it; null where it is what stood there before.
alter table udecdash.runs add column requests_columns text[];
