package gitlabapi

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzProjectsIn reads pages of projects of any origin. Whatever is taken for a page
// goes on where the one before it ended.
func FuzzProjectsIn(f *testing.F) {
	k := instanceWith(4)
	f.Add([]byte(mustMarshal(f, k.data(&query{Query: countField})["data"])))
	f.Add([]byte(`{"projects":{"nodes":[null,{"id":"gid://gitlab/Project/7","fullPath":"a/b"}],"pageInfo":{"hasNextPage":true,"endCursor":"x"}}}`))
	f.Add([]byte(`{"projects":{"nodes":[],"pageInfo":{"hasNextPage":true,"endCursor":"seen"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var data projectsData
		if json.Unmarshal(body, &data) != nil {
			return
		}
		at := &projectPosition{last: 5, cursors: map[string]bool{"seen": true}}
		page, problem := at.read(&data)
		last := at.last
		for _, project := range page.projects {
			if project.ID <= last || project.Path == "" || project.Repositories < -1 {
				t.Fatalf("%+v follows %d", project, last)
			}
			last = project.ID
		}
		if page.last != 0 && page.last != last {
			t.Errorf("the page ends with %d, but says %d", last, page.last)
		}
		if page.next == "seen" || problem == "" && *data.Projects.PageInfo.HasNextPage != (page.next != "") {
			t.Errorf("next is %q", page.next)
		}
		if problem == "" && len(page.projects) != len(data.Projects.Nodes) {
			t.Errorf("%d projects of %d", len(page.projects), len(data.Projects.Nodes))
		}
	})
}

// FuzzRepositoriesIn reads repositories of projects of any origin: each belongs to the
// project that it is said to belong to, and none is left out of a list.
func FuzzRepositoriesIn(f *testing.F) {
	k := owning(3)
	for _, change := range []string{"", "null", "DELETE_ONGOING"} {
		q := new(query)
		for _, p := range k.projects {
			q.Variables.IDs = append(q.Variables.IDs, globalID(projectIDs, p.ID))
		}
		text := mustMarshal(f, k.data(q)["data"])
		f.Add([]byte(strings.Replace(text, `"status":null`, `"status":"`+change+`"`, 1)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var data repositoriesData
		if json.Unmarshal(body, &data) != nil {
			return
		}
		for id, listed := range data.byProject(k.projects, nil) {
			page, _ := k.page(id-1, 1)
			if len(page) == 0 || page[0].ID != id {
				t.Fatalf("project was not asked for: %d", id)
			}
			repositories := listed.repositories
			for i, r := range repositories {
				if r.ID <= 0 || i > 0 && r.ID <= repositories[i-1].ID || r.ProjectID != id || !strings.HasPrefix(strings.ToLower(r.Path), strings.ToLower(page[0].Path)) {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}
