-- size: the bytes of a block's lines, with a newline each; content: their digest. Where both are alike, no line is cut
-- out. Blocks of before tell neither; they get both when their lines change, or their table is kept anew.
alter table udecdash.line_blocks add column size integer not null default 0,
    add column content bytea not null default '';
