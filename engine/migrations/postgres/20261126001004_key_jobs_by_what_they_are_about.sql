-- One index finds a job: by what it is about, then by its kind. Ending a job changes one index less.
ALTER TABLE jobs DROP CONSTRAINT jobs_pkey, ADD PRIMARY KEY (key, kind);
DROP INDEX jobs_key;
