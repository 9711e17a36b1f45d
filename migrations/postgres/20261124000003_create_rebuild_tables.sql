-- Where a projection is rebuilt beside the tables that serve; empty otherwise. Written by the crate `projections` alone.
CREATE TABLE account_status_v1_rebuild (LIKE account_status_v1 INCLUDING ALL);
CREATE TABLE account_rights_v1_rebuild (LIKE account_rights_v1 INCLUDING ALL);
CREATE TABLE widgets_v1_rebuild (LIKE widgets_v1 INCLUDING ALL);
CREATE TABLE work_v1_rebuild (LIKE work_v1 INCLUDING ALL);
