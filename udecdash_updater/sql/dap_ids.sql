-- dap_shards: the shards that the ids of courses show, and how many courses; null where no formula gives the id
select case when mod(id - canvas_id, 10000000000000) = 0 then div((id - canvas_id)::numeric, 10000000000000)::bigint end,
    count(*)
from course_dim where abs(canvas_id) < 10000000000000 and id is not null group by 1 order by 2 desc, 1

-- dap_users_known: whether the ledger knows of users from Canvas Data 1
select to_regclass('udecdash.dap_users') is not null

-- dap_users: users whose id no formula gives
select canvas_id, id from udecdash.dap_users

-- dap_keep_users: as above, those that are not known yet
insert into udecdash.dap_users (canvas_id, id)
select canvas_id, id from user_dim
where canvas_id is not null and id is not null and id <> udecdash.dap_id(canvas_id, %(shard)s)
on conflict do nothing

-- dap_users_there: of how many users user_dim has an id that no formula gives
select count(*) from user_dim where id <> canvas_id + %(first)s and abs(canvas_id) < 10000000000000
