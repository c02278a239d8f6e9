import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, PageQuery, pageOf } from './shapes.ts'

export const ProjectView = Type.Object({ name: Type.String(), createdAtMs: AtMs })
export type ProjectView = Static<typeof ProjectView>

export const listProjects = defineRoute({
  method: 'GET',
  path: '/projects',
  permission: 'project:read',
  summary: 'Projects, by name',
  query: Type.Object(PageQuery),
  answer: { json: pageOf(ProjectView) },
})

export const createProject = defineRoute({
  method: 'POST',
  path: '/projects',
  permission: 'project:admin',
  summary: 'Create a project',
  body: { json: Type.Object({ name: Type.String() }) },
  answer: { json: ProjectView },
})

export const getProject = defineRoute({
  method: 'GET',
  path: '/projects/:project',
  permission: 'project:read',
  summary: 'One project',
  answer: { json: ProjectView },
})
