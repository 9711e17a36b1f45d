-- What was scheduled beside is taken over key by key, as the jobs themselves are kept.
ALTER TABLE jobs_rebuild DROP CONSTRAINT jobs_rebuild_pkey, ADD PRIMARY KEY (key, kind);
